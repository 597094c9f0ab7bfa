pipeline {
  flow_capture { sizes { flows = 1 } }
}
