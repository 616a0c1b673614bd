"""Going on through users' audit records: for whoever counts them, or looks for what is unusual."""
