// The application registration in Entra, for accounts of this tenant. It has no secret, but a federated credential for the handler's
// identity. It is not part of the resource group: after `azd down`, delete it with `az ad app delete`.

extension microsoftGraphV1

@description('Unique name, by which the next deployment finds the registration.')
param name string

param displayName string

@description('Origin of the function app, without a trailing slash.')
param apiOrigin string

@description('Object id of the handler\'s identity.')
param identityPrincipalId string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  web: {
    redirectUris: ['${apiOrigin}/.auth/login/aad/callback']
    // Easy Auth requests an id token with the code, and no access token.
    implicitGrantSettings: {
      enableIdTokenIssuance: true
      enableAccessTokenIssuance: false
    }
  }

  resource handler 'federatedIdentityCredentials@v1.0' = {
    name: '${application.uniqueName}/handler'
    description: 'The managed identity of the function app, in place of a client secret.'
    audiences: ['api://AzureADTokenExchange']
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: identityPrincipalId
  }
}

// Sign-ins in this tenant require a service principal.
resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = principal.appId
