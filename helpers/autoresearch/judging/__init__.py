"""From a trial's records, or recorded samples, to a decision. Pure."""
