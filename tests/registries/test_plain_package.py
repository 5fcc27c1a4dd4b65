from __future__ import annotations

from registry_checks import check, load, source

from scaffold_model.registries.base import Entry

REGISTRY = load("plain_package")
INIT = """
    if is_torch_available():
        from .bar_cache import BarCacheConfig
        from .hooks import HookRegistry
"""


def test_a_function_joins_the_configuration_of_its_module() -> None:
    entry = Entry("plain_package", "", "apply_bar_cache", "bar_cache", backends=("torch",))
    after = source(INIT).replace("BarCacheConfig", "BarCacheConfig, apply_bar_cache")
    check(REGISTRY, source(INIT), entry, after)


def test_a_further_module_gets_a_line_in_order() -> None:
    entry = Entry("plain_package", "", "ZooGuidance", "zoo", backends=("torch",))
    check(REGISTRY, source(INIT), entry, source(INIT) + "    from .zoo import ZooGuidance\n")
