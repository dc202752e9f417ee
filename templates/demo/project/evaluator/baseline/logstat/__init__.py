"""logstat: a small analyser of web server access logs."""
