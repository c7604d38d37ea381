"""The REST gateway: thin routes over the services, under ``/api/v1``, and what operators ask (health, metrics)."""
