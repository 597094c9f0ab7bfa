log_level = "verbose"
log_format = "jsn"
on_exit = true
