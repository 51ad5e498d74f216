"""Strategies of others: of installed packages by their names, and of any module by their places."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distributions import GROUP, POOLS, install
from serverstrategy import Strategy
from serverstrategy.strategies import Prefork, Threaded, parse


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path in which packages can be installed, and imported for one test."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in tuple(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    sys.modules.pop("folder", None)  # which has no file


@pytest.fixture
def pools(site: Path) -> Path:
    """A folder in which a good package is installed."""
    points = {"Pool": "pools:Pool", "Made": "pools:make", "Deep": "pools:Pool.Nested"}
    install(site, "some-pools", points, {"pools": POOLS}, "2.1")
    return site


def message(text: str, **options: Any) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        parse(text, **options)
    assert type(raised.value) is ValueError
    assert "\n" not in str(raised.value)
    return str(raised.value)


def is_loaded(module: str) -> bool:
    return module in sys.modules


# By name


def test_a_strategy_of_an_installed_package_is_known_by_its_name(pools: Path) -> None:
    strategy: Any = parse("Pool(7, name='mine')")
    assert type(strategy).__module__ == "pools"
    assert (strategy.size, strategy.name, strategy.inner) == (7, "mine", None)
    assert repr(parse(repr(strategy))) == repr(strategy) == "Pool(7, name='mine')"
    assert repr(parse("Pool")) == "Pool()"


def test_strategies_of_others_and_of_the_box_nest(pools: Path) -> None:
    assert repr(parse("Prefork(2, Pool(3, inner=Threaded(4)))")) == (
        "Prefork(2, Pool(inner=Threaded(4)))"
    )


def test_a_package_may_declare_a_function_or_a_nested_class(pools: Path) -> None:
    assert repr(parse("Made")) == "Threaded(5)"
    assert repr(parse("Prefork(2, Made(limit=6))")) == "Prefork(2, Threaded(6))"
    assert type(parse("Deep")).__qualname__ == "Pool.Nested"


def test_a_package_is_imported_only_when_its_strategy_is_named(pools: Path) -> None:
    parse("Threaded(4)")
    message("Poool")
    assert not is_loaded("pools")
    parse("Pool")
    assert is_loaded("pools")


def test_a_wrong_name_is_told_with_the_strategies_of_others(pools: Path) -> None:
    said = message("pol(3)")
    assert "(did you mean 'Pool'?)" in said
    assert said.endswith("Forking, Prefork, Limit, PerClient, Fallback, Deep, Made, Pool")


def test_a_package_that_is_installed_later_is_found(site: Path) -> None:
    message("Pool")
    install(site / "more", "some-pools", {"Pool": "pools:Pool"}, {"pools": POOLS})
    sys.path.insert(0, str(site / "more"))
    try:
        assert repr(parse("Pool")) == "Pool()"
    finally:
        sys.path.remove(str(site / "more"))


@pytest.mark.parametrize(
    ("place", "module", "said"),
    [
        ("absent:Pool", "", "ModuleNotFoundError: No module named 'absent'"),
        ("bad:Pool", "import absent", "ModuleNotFoundError: No module named 'absent'"),
        ("bad:Pool", "def", "SyntaxError: invalid syntax"),
        ("bad:Pool", "1 / 0", "ZeroDivisionError: division by zero"),
        ("bad:Pool", "raise SystemExit(3)", "SystemExit: 3"),
        ("bad:Pool", "raise GeneratorExit", "GeneratorExit"),
        ("bad:Pool", "raise ValueError('a\\n b')", "ValueError: a b"),
        ("bad:Pool", "class E(Exception): __str__ = None\nraise E", "E"),
        ("bad:Pool", "", "AttributeError: module 'bad' has no attribute 'Pool'"),
        ("bad:__name__", "", "but of the type str"),
        ("bad:int", "int = int", "but the class int"),
        ("bad:Built", "import serverstrategy as s\nBuilt = s.Strategy()", "is built already"),
        ("bad", "", "'bad' is no place of the form module:Name"),
        ("", "", "'' is no place of the form module:Name"),
        ("bad:", "", "'bad:' is no place"),
        (".bad:Pool", "", "'.bad:Pool' is no place"),
        ("bad:Pool()", "", "'bad:Pool()' is no place"),
    ],
)
def test_a_broken_strategy_is_told_with_its_package_and_breaks_no_other(
    pools: Path, place: str, module: str, said: str
) -> None:
    install(pools, "bad-pools", {"Bad": place}, {"bad": module})
    beginning = f"the strategy 'Bad' of bad-pools 1.0 ({place}) cannot be loaded: "
    for text in ("Bad", "Prefork(2, Bad(3))"):
        whole = message(text)
        assert whole.startswith(beginning)
        assert whole.endswith(said) or said in whole.removeprefix(beginning)
    assert repr(parse("Pool(4)")) == "Pool(4)"


def test_ctrl_c_during_an_import_goes_through(site: Path) -> None:
    install(site, "slow", {"Slow": "slow:Slow"}, {"slow": "raise KeyboardInterrupt"})
    with pytest.raises(KeyboardInterrupt):
        parse("Slow")


@pytest.mark.parametrize(
    "entry_points", [f"[{GROUP}]\nno equals sign\n", f"[{GROUP}]\nPool = pools:Pool\n\udcff"]
)
def test_entry_points_that_cannot_be_read_break_no_others(pools: Path, entry_points: str) -> None:
    install(pools, "unreadable", "", {})
    (file,) = pools.glob("unreadable*/entry_points.txt")
    file.write_bytes(entry_points.encode("utf-8", "surrogateescape"))
    assert repr(parse("Pool(4)")) == "Pool(4)"
    assert "; unreadable 1.0: its entry points cannot be read: " in message("Bad")


def test_a_package_without_metadata_is_no_obstacle(site: Path) -> None:
    install(site, "bare", {"Pool": "pools:Pool", "Bad": "absent:X"}, {"pools": POOLS}, None)
    assert repr(parse("Pool(4)")) == "Pool(4)"
    assert "the strategy 'Bad' of (no name) (absent:X) cannot be loaded" in message("Bad")


def test_spaces_and_extras_of_an_entry_point_do_not_matter(site: Path) -> None:
    install(site, "some-pools", {"Pool": " pools : Pool  [fast] "}, {"pools": POOLS})
    assert repr(parse("Pool(4)")) == "Pool(4)"
    assert repr(parse("pools:Pool(4)")) == "Pool(4)"


# Names that several have


def test_a_name_in_the_box_never_means_anything_else(site: Path) -> None:
    install(site, "thief", {"Threaded": "pools:Pool"}, {"pools": POOLS})
    assert type(parse("Threaded(4)")) is Threaded
    assert not is_loaded("pools")
    assert type(parse("pools:Pool(4)")).__name__ == "Pool"


def test_a_name_that_two_packages_have_is_refused_with_the_way_out(pools: Path) -> None:
    install(pools, "other-pools", {"Pool": "others:Pool"}, {"others": POOLS}, "0.3")
    assert message("Prefork(2, Pool(3))") == (
        "the strategy 'Pool' is ambiguous: write others:Pool (of other-pools 0.3) or "
        "pools:Pool (of some-pools 2.1)"
    )
    assert not is_loaded("others")
    assert type(parse("Prefork(2, others:Pool(3))").inner).__module__ == "others"  # type: ignore[attr-defined]


def test_a_package_that_is_twice_on_the_path_is_one(pools: Path) -> None:
    install(pools / "older", "Some_Pools", {"Pool": "older:Pool"}, {}, "1.0")
    sys.path.append(str(pools / "older"))
    try:
        assert type(parse("Pool")).__module__ == "pools"
    finally:
        sys.path.remove(str(pools / "older"))


# By place


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("pools:Pool", "Pool()"),
        ("pools:Pool()", "Pool()"),
        ("pools:Pool(4, name='a:b@c')", "Pool(4, name='a:b@c')"),
        (" pools : Pool ( 4 ) ", "Pool(4)"),
        ("(pools:Pool(4))", "Pool(4)"),
        ("pools:Pool.Nested", "Nested()"),
        ("pools:make(9)", "Threaded(9)"),
        ("Prefork(2, pools:Pool(4))", "Prefork(2, Pool(4))"),
        ("Prefork(2,\n  pools:Pool(\n4),\n)", "Prefork(2, Pool(4))"),
        ("Prefork(inner=pools:Pool, workers=2)", "Prefork(2, Pool())"),
        ("pools:Pool(-4, inner=pools:Pool(5))", "Pool(-4, inner=Pool(5))"),
        ("pools:Pool([1, pools:Pool(2)], name=(pools:make, 'x'))", ""),
        ("folder.inside:Pool(4)", "Pool(4)"),
        ("serverstrategy.strategies:Threaded(4)", "Threaded(4)"),
    ],
)
def test_a_place_is_read_at_any_depth(site: Path, text: str, meaning: str) -> None:
    (site / "pools.py").write_text(POOLS)
    (site / "folder").mkdir()
    (site / "folder" / "inside.py").write_text(POOLS)
    meaning = meaning or "Pool([1, Pool(2)], name=(Threaded(5), 'x'))"
    assert repr(parse(text, allow_import=True)) == meaning


@pytest.mark.parametrize("text", ["pools:Pool(4)", "Prefork(2, pools:Pool)", "os:system('true')"])
def test_a_place_is_not_imported_without_permission(site: Path, text: str) -> None:
    (site / "pools.py").write_text(POOLS)
    said = message(text)
    assert "is code to import, which this text may not name" in said
    assert text.split("(")[0] in said or "'pools:Pool'" in said
    assert not is_loaded("pools")


def test_the_place_of_a_strategy_that_a_package_declares_needs_no_permission(pools: Path) -> None:
    assert repr(parse("Prefork(2, pools:Pool(4))")) == "Prefork(2, Pool(4))"
    assert "'pools:make_nothing' is code to import" in message("pools:make_nothing")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("absent:Pool(3)", "'absent:Pool' cannot be loaded: ModuleNotFoundError: No module named"),
        ("absent.a:Pool", "'absent.a:Pool' cannot be loaded: ModuleNotFoundError: No module named"),
        ("pools.a:Pool", "'pools.a:Pool' cannot be loaded: ModuleNotFoundError: No module named"),
        ("pools:Missing", "module 'pools' has no attribute 'Missing'"),
        ("pools:Pool.Missing", "type object 'Pool' has no attribute 'Missing'"),
        ("Prefork(2, pools:Missing(3))", "'pools:Missing' cannot be loaded: AttributeError"),
        ("pools:NoStrategy()", "no subclass of Strategy and no function that returns one, but the"),
        ("pools:BUILT", "but a strategy that is built already"),
        ("pools:make_nothing", "pools:make_nothing: it returned 7, which is no strategy"),
        ("pools:make_trouble()", "pools:make_trouble: KeyError: 'key'"),
        ("pools:Pool(1, 2)", "pools:Pool: Pool.__init__() takes from 1 to 2 positional"),
        ("pools:Pool(color=2)", "pools:Pool: "),
        ("raises:Pool", "'raises:Pool' cannot be loaded: ZeroDivisionError: division by zero"),
        ("leaves:Pool", "'leaves:Pool' cannot be loaded: SystemExit: 4"),
        ("pools:Pool:make", "'pools:Pool:make' cannot be read here"),
        ("pools():Pool", "'pools():Pool' cannot be read here"),
        ("pools[0]:Pool", "'pools[0]:Pool' cannot be read here"),
        ("pools:Pool(3).size", "'pools:Pool(3).size' cannot be read here"),
        ("pools:Pool(3)()", "'pools:Pool(3)()' cannot be read here"),
        ("pools:4", "'pools:4' cannot be read here"),
        ("4:pools", "'4:pools' cannot be read here"),
        ("'pools':Pool", "\"'pools':Pool\" cannot be read here"),
        (".pools:Pool", "'.pools:Pool' cannot be read: invalid syntax"),
        ("pools:", "'pools:' cannot be read: invalid syntax"),
        (":Pool", "':Pool' cannot be read: invalid syntax"),
        ("pools::Pool", "'pools::Pool' cannot be read: invalid syntax"),
        ("pools@Pool", "'pools@Pool' cannot be read: invalid syntax"),
        ("pools@Pool(3)", "'pools@Pool(3)' cannot be read: invalid syntax"),
        ("Prefork(2, pools@Pool)", "'Prefork(2, pools@Pool)' cannot be read: invalid syntax"),
        ("my-pools:Pool", "'my-pools:Pool' cannot be read here"),
        ("pools:Pool(", "'pools:Pool(' cannot be read: "),
        ("pools:Pool('", '"pools:Pool(\'" cannot be read: '),
        ("pools:Pool(3))", "'pools:Pool(3))' cannot be read: "),
        ("x[pools:Pool]", "'x[pools:Pool]' cannot be read here"),
        ("{pools:Pool}", "'{pools:Pool}' cannot be read here"),
        ("pools:Pool(f'{pools:Pool}')", "cannot be read here"),
        ("pools:Pool(\0)", r"'pools:Pool(\x00)' cannot be read: "),
        ("pools:Pool(\udc80)", r"'pools:Pool(\udc80)' cannot be read: "),
        ("x:\n  y\n z", "cannot be read: "),
        ("pools.Pool(3)", "'pools.Pool(3)' cannot be read here"),
    ],
)
def test_a_place_that_cannot_be_used_is_told(site: Path, text: str, said: str) -> None:
    (site / "pools.py").write_text(POOLS)
    (site / "raises.py").write_text("1 / 0")
    (site / "leaves.py").write_text("raise SystemExit(4)")
    assert said in message(text, allow_import=True)


@pytest.mark.parametrize("text", [":" * 100_000, "a:b," * 20_000, "(" * 5000 + "a:b", "a:" * 5000])
def test_a_huge_text_with_places_is_refused(text: str) -> None:
    message(text, allow_import=True)


def test_an_error_of_the_platform_stays_one(site: Path) -> None:
    (site / "pools.py").write_text("def make(): raise OSError('no fork here')")
    with pytest.raises(OSError, match="no fork here"):
        parse("pools:make", allow_import=True)


# What a constructor can be given


@pytest.mark.parametrize(
    "value",
    [
        *("0", "-7", "1.5", "-1.5", "1e-09", "True", "False", "None"),
        *("''", "'a b'", '"it\'s"', "'\\n'"),
        *("[]", "()", "(1,)", "[1, [2, 'x'], (None, -2.0)]"),
    ],
)
def test_values_make_the_round_trip(pools: Path, value: str) -> None:
    strategy: Any = parse(f"Pool(99, name={value})")
    assert repr(strategy.name) == value
    assert type(strategy.name) is type(literal_eval(value))
    assert repr(parse(repr(strategy))) == repr(strategy)


def test_lists_hold_strategies(pools: Path) -> None:
    strategy: Any = parse("Pool([Threaded, Pool(4)], inner=Prefork(2, Made))")
    assert [type(each).__name__ for each in strategy.size] == ["Threaded", "Pool"]
    assert isinstance(strategy.inner, Prefork)
    assert isinstance(strategy, Strategy)


# The documentation


def test_the_example_of_the_page_on_publishing_holds(site: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "publishing-a-strategy.md").read_text()
    by_place, module = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (project,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    points = tomllib.loads(project)["project"]["entry-points"][GROUP]
    install(site, "thread-each", points, {"thread_each": module})
    assert repr(parse("Prefork(2, ThreadEach(50))")) == "Prefork(2, ThreadEach(50))"
    names: dict[str, Any] = {}
    exec(by_place, names)
    assert repr(names["strategy"]) == "Threaded(50)"


# What it costs


def test_a_strategy_in_the_box_is_found_without_a_look_at_what_is_installed() -> None:
    program = (
        "import sys; before = set(sys.modules);"
        "from serverstrategy.strategies import parse;"
        "parse('Prefork(2, ThreadPool(8))'); parse('Threaded');"
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=50, check=True, text=True
    )
    loaded = set(done.stdout.split())
    assert "serverstrategy.strategies.plugin" in loaded
    assert not {"importlib.metadata", "difflib"} & loaded
