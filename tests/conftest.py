"""Fixtures that every test may use; each lives in the module of what it starts."""

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
]
