log_level = <<END
info
