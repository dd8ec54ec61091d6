"""Leaves out the tests that do not apply to a server with one text model, and counts those that do."""

import pytest

# Files of which all tests want something else: see README.md.
OTHERS = {"test_router.py", "test_stream.py", "test_vision_api.py", "test_lora.py", "test_rerank.py", "test_speculative.py",
          "test_mcp_servers.py", "test_proxy.py", "test_tools_builtin.py"}
IMAGES = ("multimodal", "with_image", "two_images", "image_payload", "media_file_without_mmproj")


def applies(item):
    if item.path.name in OTHERS or item.get_closest_marker("slow"):
        return False
    return not any(word in item.name for word in IMAGES)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    out = [i for i in items if not applies(i)]
    config.hook.pytest_deselected(items=out)
    items[:] = [i for i in items if applies(i)]


def pytest_collection_finish(session):
    """The tests would load a model for each kind of server first."""
    import utils

    utils.ServerPreset.load_all = staticmethod(lambda: None)


def pytest_terminal_summary(terminalreporter):
    passed = len(terminalreporter.stats.get("passed", []))
    failed = sum(len(terminalreporter.stats.get(k, [])) for k in ("failed", "error"))
    skipped = len(terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"llama.cpp's server tests: {passed} passed of {passed + failed + skipped} that apply")
