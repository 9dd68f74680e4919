// The chat as an application in Entra: what people see when they sign in. It has no secret and no certificate: the handler's
// identity vouches for it (a federated credential). Only accounts of this tenant can sign in. It belongs to no resource group, so
// `azd down` leaves it behind: `az ad app delete`.

extension microsoftGraphV1

@description('The key under which Entra finds the same registration again at the next deployment.')
param name string

param displayName string

@description('Address of the function app, without a slash at the end.')
param apiOrigin string

@description('Object id of the handler\'s identity.')
param identityPrincipalId string

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: name
  displayName: displayName
  signInAudience: 'AzureADMyOrg'
  web: {
    redirectUris: ['${apiOrigin}/.auth/login/aad/callback']
    // Easy Auth asks for an id token with the code; access tokens never come through the browser.
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

// Without a service principal nobody can sign in to the application in this tenant.
resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

output clientId string = principal.appId
