// Optional: Azure Communication Services, and what the handler needs to issue access tokens for it. The container maps users to
// their identities; it is personal data, which only the handler can read.

param name string
param tags object

@description('Data location: Europe, United States, and so on. It cannot be changed later.')
param dataLocation string

param storageName string

@description('Object id of the handler\'s identity.')
param handlerId string

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
// The service has no smaller role. It allows everything on this resource, also to enable its keys, so do not share the resource.
var communicationAndEmailServiceOwner = '09976791-48a7-449e-bb21-39d1a415f350'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource communication 'Microsoft.Communication/communicationServices@2025-05-01' = {
  name: name
  // The resource is global; `dataLocation` is the location of its data.
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

resource handlerIssuesTokens 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, handlerId, communicationAndEmailServiceOwner)
  scope: communication
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', communicationAndEmailServiceOwner)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}

resource handlerStoresIdentities 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
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
