// Optional: the container of the history, the role of the handler on it, and the rules that delete what is old. It holds what people
// wrote; only the handler can read it. docs/history.md describes the content.

param storageName string

@description('Object id of the handler\'s identity.')
param handlerId string

@description('Age in days, since the last change, at which a part of the history is deleted.')
param days int

var containerName = 'chat-history'

// What is deleted, and after how many days. `removed/` says which messages readers must not see, so it outlasts them: a part gets
// messages for about a day.
var rules = [
  { name: 'chat-history-messages', prefixes: ['${containerName}/rooms/', '${containerName}/people/'], days: days }
  { name: 'chat-history-removals', prefixes: ['${containerName}/removed/'], days: days + 2 }
]

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
// The smallest built-in role that can create, append to, replace, seal, read, list and delete blobs.
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName

  resource blobs 'blobServices' existing = {
    name: 'default'
  }
}

resource history 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: account::blobs
  name: containerName
  properties: { publicAccess: 'None' }
}

// An account has one policy, so add further rules here. Azure runs it about once a day. Sealing a blob does not change its age.
resource retention 'Microsoft.Storage/storageAccounts/managementPolicies@2025-08-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [for rule in rules: {
        name: rule.name
        enabled: true
        type: 'Lifecycle'
        definition: {
          filters: {
            blobTypes: ['appendBlob', 'blockBlob']
            prefixMatch: rule.prefixes
          }
          actions: {
            baseBlob: {
              delete: { daysAfterModificationGreaterThan: rule.days }
            }
          }
        }
      }]
    }
  }
}

resource handlerKeepsHistory 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, history.name, handlerId, storageBlobDataContributor)
  scope: history
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}

output container string = '${account.properties.primaryEndpoints.blob}${history.name}'
