"""People who call the API."""

import itertools

# The headers of a person who has signed in, as App Service authentication sends them to the handler.
ANN = {"x-ms-client-principal-name": "ann@contoso.com", "x-ms-client-principal-idp": "aad"}

# Each the name of another person, because a person gets 20 access tokens at once.
NAMES = (f"person-{number}@contoso.com" for number in itertools.count())
