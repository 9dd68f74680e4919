"""docs/troubleshooting.md: facts about the host that the handler cannot change, so that people find the cause."""

from markdown_pages import PAGES

HOST = PAGES["docs/troubleshooting.md"]["Functions host"].rows


def test_a_name_that_the_host_cannot_forward_is_explained_with_what_helps():
    (row,) = [row for row in HOST if "outside ASCII" in row[1]]
    symptom, cause, fix = row
    # What people see: the host's own responses, of which the handler has no log line.
    assert all(part in symptom for part in ("one person", "500", "400", "logs none"))
    assert all(part in cause for part in ("header", "500 for UTF-8", "400 for Latin-1"))
    # A name that is an address is ASCII.
    assert all(part in fix for part in ("address", "Entra ID", "`login.nameClaimType`", "`preferred_username`"))
