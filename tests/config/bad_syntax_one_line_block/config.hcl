api { enabled = true, port = 1 }
