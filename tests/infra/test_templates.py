"""The templates are consistent: names are declared, modules get their parameters, azd sets the parameters of main.bicep."""

import json
import re


def test_every_template_can_be_parsed(infra):
    assert "main.bicep" in infra
    assert [error for template in infra.values() for error in template.errors] == []


def test_every_name_is_declared_and_every_parameter_is_used(infra):
    for name, template in infra.items():
        assert template.used - template.symbols - template.local == set(), name
        assert template.params.keys() - template.used == set(), name
        assert template.variables.keys() - template.used == set(), name


def test_every_module_is_used_and_gets_its_parameters(infra):
    main = infra["main.bicep"]
    assert sorted(module.path for module in main.modules) == sorted(infra.keys() - {"main.bicep"})
    for module in main.modules:
        takes = infra[module.path].params
        required = {name for name, default in takes.items() if default is None}
        assert module.params.keys() <= takes.keys(), module.symbol
        assert required <= module.params.keys(), module.symbol


def test_every_output_that_is_read_exists_and_every_output_is_read(infra):
    main = infra["main.bicep"]
    for module in main.modules:
        read = set(re.findall(rf"\b{module.symbol}!?\.outputs\.(\w+)", main.source))
        assert read == infra[module.path].outputs.keys(), module.symbol


def test_every_resource_has_a_stable_api_version(infra):
    for template in infra.values():
        for resource in template.resources:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d|v1\.0", resource.version), f"{resource.kind}: not a stable API version"


def test_azd_can_set_every_parameter(root, infra):
    main = infra["main.bicep"]
    passed = {name: entry["value"] for name, entry in json.loads((root / "infra/main.parameters.json").read_text())["parameters"].items()}
    # The template reads `deployerId` itself.
    assert passed.keys() == main.params.keys() - {"deployerId"}
    for name, value in passed.items():
        # azd omits a parameter if its variable is not set.
        assert re.fullmatch(r"\$\{(AZURE|CHAT)_[A-Z_]+\}", value), name
    assert len(set(passed.values())) == len(passed)


def test_the_variables_of_the_upload_hook_are_outputs(root, infra):
    (variables,) = re.findall(r"^for name in ([A-Z_ ]+);", (root / "infra/hooks/page.sh").read_text(), re.MULTILINE)
    assert set(variables.split()) <= infra["main.bicep"].outputs.keys()


def test_the_token_store_is_the_file_system_by_default(infra):
    main = infra["main.bicep"]
    assert main.params["tokenStoreSasUri"] == "''"
    (sign_in,) = [module for module in main.modules if module.symbol == "signIn"]
    assert sign_in.params["tokenStoreInBlobs"] == "!empty(tokenStoreSasUri)"


def test_a_container_has_one_module_and_the_function_app_gets_its_url(infra):
    main, history = infra["main.bicep"], infra["modules/history.bicep"]
    assert history.outputs == {"container": "'${account.properties.primaryEndpoints.blob}${history.name}'"}
    assert main.outputs["CHAT_HISTORY_CONTAINER"] == "history ? messages!.outputs.container : ''"
    assert (main.params["history"], main.params["historyDays"], main.params["rooms"]) == ("true", "30", "''")
    # azd stores outputs beside the values of `azd env set`; the same name would overwrite one.
    assert not main.outputs.keys() & {"CHAT_HISTORY", "CHAT_HISTORY_DAYS", "CHAT_ROOMS"}


def test_the_rules_for_old_messages_name_the_folders_of_the_log(root, infra):
    stream = (root / "src/history/stream.rs").read_text()
    folders = set(re.findall(r'^pub\(super\) const \w+: &str = "(\w+/)";', stream, re.MULTILINE))
    assert folders == {"rooms/", "people/", "removed/"}
    rules = infra["modules/history.bicep"].variables["rules"]
    assert set(re.findall(r"\$\{containerName\}/(\w+/)", rules)) == folders


def test_the_documents_of_the_static_website_are_part_of_the_page(root, infra):
    (blobs,) = infra["modules/storage.bicep"].resource("Microsoft.Storage/storageAccounts/blobServices")
    for key in ("indexDocument", "errorDocument404Path"):
        document = blobs.properties[f"properties.staticWebsite.{key}"].strip("'")
        assert (root / "content" / document).exists() or (root / "content/public" / document).exists(), document
