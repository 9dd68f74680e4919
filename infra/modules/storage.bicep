// One account: the page for everybody, and, in containers nobody else can read, what the Functions host needs.
// `allowBlobPublicAccess: false` does not close the page: a static website is served at an address of its own, from `$web`, without it.

param name string
param location string
param tags object

var packageContainer = 'package'

// The host makes the last two itself where it may make containers. Ours may not: its roles end at these three.
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
    }
  }
}

// Made here and not when the first file arrives, so that roles.bicep can name them.
resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = [for container in allContainers: {
  parent: account::blobs
  name: container
  properties: { publicAccess: 'None' }
}]

output name string = account.name
output blobUri string = account.properties.primaryEndpoints.blob
output packageContainer string = packageContainer
output hostContainers string[] = hostContainers

// Azure ends the address with a slash; a browser's `Origin` has none, and CORS compares texts.
output pageOrigin string = take(account.properties.primaryEndpoints.web, length(account.properties.primaryEndpoints.web) - 1)
