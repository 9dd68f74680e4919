// The application registration in Entra, which people see at sign-in. It has no secret and no certificate, but a federated credential for
// the handler's identity. Only accounts of this tenant can sign in. It is in no resource group, so `azd down` does not delete it:
// `az ad app delete`.

extension microsoftGraphV1

@description('Unique name by which later deployments find the registration.')
param name string

param displayName string

@description('Origin of the function app, without a slash at the end.')
param apiOrigin string

@description('Object id of the handler\'s identity.')
param identityPrincipalId string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  web: {
    redirectUris: ['${apiOrigin}/.auth/login/aad/callback']
    // Easy Auth requests an id token with the code; access tokens are never sent through the browser.
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

// Sign-in to the application in this tenant needs a service principal.
resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = principal.appId
