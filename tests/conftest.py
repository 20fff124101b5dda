"""Options of all tests."""

BACKENDS = ("pt", "tf", "flax")


def pytest_addoption(parser):
    parser.addoption(
        "--backend", choices=BACKENDS, help="run the suites of tests/models in this backend, in this process"
    )
    parser.addoption("--artifacts", help="where a suite leaves files that are compared between backends")
