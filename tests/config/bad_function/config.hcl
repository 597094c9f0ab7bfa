log_level = file("/etc/level")
