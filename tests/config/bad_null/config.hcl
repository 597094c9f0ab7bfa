log_level = null
api       = null
