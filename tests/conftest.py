"""Fixtures that every test may use, each in the module of what it starts; and how Hypothesis looks for examples."""

from hypothesis import HealthCheck, settings

# No clock decides, and every run tries the same: what fails anywhere fails everywhere.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# pytest --hypothesis-profile=search looks for what nobody has found yet.
settings.register_profile("search", parent=settings.get_profile("same"), derandomize=False, max_examples=2000)
settings.load_profile("same")

pytest_plugins = [
    "tests.fixtures.adb",
    "tests.fixtures.browser",
    "tests.fixtures.consul",
    "tests.fixtures.coturn",
    "tests.fixtures.demo_phone",
    "tests.fixtures.docker",
    "tests.fixtures.link",
    "tests.fixtures.media",
    "tests.fixtures.nginx",
    "tests.fixtures.node",
    "tests.fixtures.rabbitmq",
    "tests.fixtures.redis",
    "tests.fixtures.service",
    "tests.fixtures.trace_collector",
]
