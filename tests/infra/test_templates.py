"""The templates hang together: every name is declared, every module gets what it takes, azd passes what main.bicep wants."""

import json
import re



def test_every_template_can_be_read(infra):
    assert "main.bicep" in infra
    assert [error for template in infra.values() for error in template.errors] == []


def test_every_name_is_declared_and_every_parameter_is_used(infra):
    for name, template in infra.items():
        assert template.used - template.symbols - template.local == set(), name
        assert template.params.keys() - template.used == set(), name
        assert template.variables.keys() - template.used == set(), name


def test_every_module_is_used_and_gets_exactly_the_parameters_it_takes(infra):
    main = infra["main.bicep"]
    assert sorted(module.path for module in main.modules) == sorted(infra.keys() - {"main.bicep"})
    for module in main.modules:
        takes = infra[module.path].params
        required = {name for name, default in takes.items() if default is None}
        assert module.params.keys() <= takes.keys(), module.symbol
        assert required <= module.params.keys(), module.symbol


def test_only_outputs_that_exist_are_read_and_none_is_made_for_nobody(infra):
    main = infra["main.bicep"]
    for module in main.modules:
        read = set(re.findall(rf"\b{module.symbol}!?\.outputs\.(\w+)", main.source))
        assert read == infra[module.path].outputs.keys(), module.symbol


def test_every_resource_says_which_version_of_the_api_it_is_written_for(infra):
    for template in infra.values():
        for resource in template.resources:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d|v1\.0", resource.version), f"{resource.kind}: previews come and go"


def test_azd_can_set_every_parameter_and_leaves_the_defaults_to_the_template(root, infra):
    main = infra["main.bicep"]
    passed = {name: entry["value"] for name, entry in json.loads((root / "infra/main.parameters.json").read_text())["parameters"].items()}
    # Who deploys is known to Azure itself.
    assert passed.keys() == main.params.keys() - {"deployerId"}
    for name, value in passed.items():
        # azd leaves a parameter out when its variable is not set.
        assert re.fullmatch(r"\$\{(AZURE|CHAT)_[A-Z_]+\}", value), name
    assert len(set(passed.values())) == len(passed)


def test_the_hook_that_uploads_the_page_finds_the_outputs_it_asks_for(root, infra):
    (asked,) = re.findall(r"^for name in ([A-Z_ ]+);", (root / "infra/hooks/page.sh").read_text(), re.MULTILINE)
    assert set(asked.split()) <= infra["main.bicep"].outputs.keys()


def test_the_documents_of_the_static_website_are_part_of_the_page(root, infra):
    (blobs,) = infra["modules/storage.bicep"].resource("Microsoft.Storage/storageAccounts/blobServices")
    for key in ("indexDocument", "errorDocument404Path"):
        document = blobs.properties[f"properties.staticWebsite.{key}"].strip("'")
        assert (root / "content" / document).exists() or (root / "content/public" / document).exists(), document
