// Azure Communication Services, and what the handler needs to give people tokens for it: all that there is only when somebody wants it.
// The container holds who has which identity there. That is about people, so nobody but the handler can read it.

param name string
param tags object

@description('Where the service keeps what it keeps: Europe, United States, and so on. It can never be changed.')
param dataLocation string

param storageName string

@description('Object id of the handler\'s identity.')
param handlerId string

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
// There is no smaller one for this service. It may do everything to this one resource, also switch the keys on that are off here, so
// nothing else should be kept in it.
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource communication 'Microsoft.Communication/communicationServices@2025-05-01' = {
  name: name
  // The resource is everywhere; its data are where `dataLocation` says.
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
