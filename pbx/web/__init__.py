"""HTTP: the API, the metrics, the CTI websocket and the pages of the browser desktop."""
