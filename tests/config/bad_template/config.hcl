log_level = "${env("NONE", "a") ? "info" : "warn"}"
