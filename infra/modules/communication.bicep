// Azure Communication Services, and what the handler needs to issue access tokens for it. Deployed only with CHAT_COMMUNICATION.
// The container stores the identity of each person, which is personal data. Only the handler can read it.

param name string
param tags object

@description('Data location of the service: Europe, United States, and so on. It cannot be changed later.')
param dataLocation string

param storageName string

@description('Object id of the handler\'s identity.')
param handlerId string

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
// No smaller role exists for this service. It has full control of this resource and can enable its keys, so no other app should use the
// resource.
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource communication 'Microsoft.Communication/communicationServices@2025-05-01' = {
  name: name
  // The resource is global; its data is in `dataLocation`.
  location: 'global'
  tags: tags
  properties: {
    dataLocation: dataLocation
    disableLocalAuth: true
  }
}

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName

  resource blobs 'blobServices' existing = {
    name: 'default'
  }
}

resource identities 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: account::blobs
  name: 'chat-identities'
  properties: { publicAccess: 'None' }
}

resource handlerMakesTokens 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, handlerId, communicationAndEmailServiceOwner)
  scope: communication
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', communicationAndEmailServiceOwner)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}

resource handlerKeepsIdentities 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identities.name, handlerId, storageBlobDataContributor)
  scope: identities
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = 'https://${communication.properties.hostName}/'
output identityStore string = '${account.properties.primaryEndpoints.blob}${identities.name}'
