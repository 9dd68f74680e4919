// Role assignments on single resources and containers, except those of communication.bicep and history.bicep. None of these roles can
// read the access keys of a service.
//
// The handler needs three permissions on the SignalR service: a temporary key to sign access tokens (auth/accessKey, valid for 90
// minutes), and to send to everyone (hub/send) and to one user (user/send). SignalR App Server has the first, SignalR REST API Owner
// the others; together they allow less than SignalR Service Owner. A custom role would need the permission to define roles, and
// `azd down` would not delete it.

@description('Object id of the handler\'s identity.')
param handlerId string

@description('Object id of the user or pipeline that uploads the page.')
param deployerId string

param signalRName string
param insightsName string
param storageName string

@description('The containers of the Functions host, including the package.')
param hostContainers string[]

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var signalRAppServer = '420fcaa2-552c-430f-98ca-3264be4806c7'
var signalRRestApiOwner = 'fd53cd77-2268-407a-8f46-7e7863d0f521'
var signalRRoles = [signalRAppServer, signalRRestApiOwner]
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

resource signalR 'Microsoft.SignalRService/signalR@2024-03-01' existing = {
  name: signalRName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource page 'containers' existing = {
      name: '$web'
    }
  }
}

resource host 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' existing = [for container in hostContainers: {
  parent: account::blobs
  name: container
}]

resource handlerUsesSignalR 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in signalRRoles: {
  name: guid(signalR.id, handlerId, role)
  scope: signalR
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}]

resource handlerPublishesMetrics 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, handlerId, monitoringMetricsPublisher)
  scope: insights
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}

// Owner, as the documentation of the host requires. The page's container is not included.
resource hostUsesItsContainers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (container, i) in hostContainers: {
  name: guid(account.id, container, handlerId, storageBlobDataOwner)
  scope: host[i]
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    principalId: handlerId
    principalType: 'ServicePrincipal'
  }
}]

// Owner of the subscription does not include access to blobs. No `principalType`: it may be a user or a service principal.
resource deployerUploadsThePage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, '$web', deployerId, storageBlobDataContributor)
  scope: account::blobs::page
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: deployerId
  }
}
