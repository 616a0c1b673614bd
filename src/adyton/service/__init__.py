"""What Adyton does, and the only place that authorises, records and acts."""
