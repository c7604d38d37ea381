"""One module a resource. A route authorises through its dependencies, calls one service, and gives its view."""
