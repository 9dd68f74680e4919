// The storage account of the page (`$web`), of the Functions host and of the history (private containers). The static website stays
// public with `allowBlobPublicAccess: false`.
//
// Versions and soft delete are properties of the whole account, and off: with them, a message or a person that was deleted would still
// be readable. No container here needs them: the page and the package are deployed again from their sources, the host creates its blobs
// again, and chat-identities has to forget people, too. For soft delete of the page, give the page an account of its own.

param name string
param location string
param tags object

var packageContainer = 'package'

// The host cannot create the last two itself, because its roles are limited to these containers.
var hostContainers = [
  packageContainer
  'azure-webjobs-hosts'
  'azure-webjobs-secrets'
]

var allContainers = concat(['$web'], hostContainers)

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    // Append blobs cannot be sealed in accounts with a hierarchical namespace.
    isHnsEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      staticWebsite: {
        enabled: true
        indexDocument: 'index.html'
        errorDocument404Path: '404.html'
      }
      isVersioningEnabled: false
      deleteRetentionPolicy: { enabled: false }
      containerDeleteRetentionPolicy: { enabled: false }
    }
  }
}

// Created here, so that roles.bicep can refer to them.
resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = [for container in allContainers: {
  parent: account::blobs
  name: container
  properties: { publicAccess: 'None' }
}]

output name string = account.name
output blobUri string = account.properties.primaryEndpoints.blob
output packageContainer string = packageContainer
output hostContainers string[] = hostContainers

// Without the trailing slash, because CORS compares it with the `Origin` header.
output pageOrigin string = take(account.properties.primaryEndpoints.web, length(account.properties.primaryEndpoints.web) - 1)
