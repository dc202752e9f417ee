"""Before the first measurement: look at a project, propose a benchmark, try it, check the machine, write the files."""
