shutdown_timeout = "2h"
