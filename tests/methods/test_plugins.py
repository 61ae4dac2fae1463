"""Methods of other packages: found by their entry points, imported when asked for, refused by the package's name."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from opendas_plugin import methods
from opendas_plugin.errors import ConfigError
from opendas_plugin.methods import registry
from opendas_plugin.train.recipe import read_recipe

METHOD = """
from opendas_plugin.methods.stages import JOINT, Method

METHOD = Method(stages=(JOINT,), recipe={"batch_size": 7, "prompts": {"visual_tokens": 2, "text_tokens": 1}})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with methods on the search path, as pip would: its code, and the folder that describes it."""

    def run(name: str, code: str, points: dict[str, str] | None = None) -> Path:
        site, module = tmp_path / name, name.replace("-", "_")
        (site / f"{module}-1.0.dist-info").mkdir(parents=True)
        (site / f"{module}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        lines = [f"{key} = {value}" for key, value in (points or {"shallow": f"{module}:METHOD"}).items()]
        (site / f"{module}-1.0.dist-info" / "entry_points.txt").write_text(
            "\n".join(["[opendas_plugin.methods]", *lines, ""])
        )
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    yield run
    for name in [name for name in sys.modules if name.startswith("opendas_test_")]:
        del sys.modules[name]


def test_a_method_of_another_package_is_one_as_the_built_in_ones(install, tmp_path):
    install("opendas-test-shallow", METHOD)
    assert methods.names() == (*registry.BUILT_IN, "shallow")
    assert "opendas_test_shallow" not in sys.modules  # listed, not imported
    assert methods.get("shallow").prompts.visual_tokens == 2
    assert methods.parameter_count("shallow", "ViT-L-14") == 24 * 2 * 1024 + 12 * 768
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: shallow\nshallow: {batch_size: 3}\nopendas: {batch_size: 5}\n")
    assert read_recipe(recipe).batch_size == 3 and read_recipe(recipe, "opendas").batch_size == 5


def test_an_unknown_name_lists_built_in_methods_and_found_ones(install):
    install("opendas-test-shallow", METHOD)
    with pytest.raises(ConfigError, match=r"there is no method 'deep'; choose one of opendas, .*, shallow$"):
        methods.get("deep")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise RuntimeError('first line\\nsecond line')", "RuntimeError: first line second line"),
        ("def METHOD(:", "SyntaxError"),
        ("", "AttributeError"),
        ("METHOD = {'stages': ()}", "expected its method 'shallow' .* to be a Method, got dict"),
    ],
)
def test_a_broken_package_is_one_sentence_with_its_name_and_the_others_work(install, code, reason):
    install("opendas-test-broken", code)
    with pytest.raises(ConfigError, match=rf"^the package opendas-test-broken: .*{reason}.*; mend or uninst") as caught:
        methods.get("shallow")
    assert "\n" not in str(caught.value)
    assert "shallow" in methods.names()
    assert methods.get("opendas").stages


def test_a_name_that_is_taken_is_refused(install):
    install("opendas-test-first", METHOD, {"opendas": "opendas_test_first:METHOD", "own": "opendas_test_first:METHOD"})
    with pytest.raises(ConfigError, match="the package opendas-test-first: the method name 'opendas' is built in"):
        methods.get("opendas")
    assert methods.names().count("opendas") == 1
    install("opendas-test-second", METHOD, {"own": "opendas_test_second:METHOD"})
    with pytest.raises(ConfigError, match=r"opendas-test-(first|second) and the package opendas-test-.* 'own' can be"):
        methods.get("own")
    assert methods.get("vpt").stages


def test_a_built_in_method_is_imported_when_it_is_asked_for():
    code = """
        import sys
        from opendas_plugin import methods
        methods.names()
        assert not [name for name in methods.names() if f"opendas_plugin.methods.{name}" in sys.modules]
        methods.get("vpt")
        assert [name for name in methods.names() if f"opendas_plugin.methods.{name}" in sys.modules] == ["vpt"]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=Path(__file__).parents[2])


def test_every_file_of_the_folder_is_a_method_or_serves_all():
    folder = Path(registry.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} == {*registry.BUILT_IN, "__init__", "registry", "stages"}
