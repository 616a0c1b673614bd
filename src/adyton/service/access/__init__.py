"""Who may do what: policies, as text and as decisions. Nothing here does input or output."""
