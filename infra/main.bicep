// Serverless chat on Azure: one resource group with all resources. Access keys are disabled; the handler calls the services with a
// managed identity and the roles in modules/roles.bicep. The deployment needs Owner, or Contributor with User Access Administrator,
// on the subscription, and for `aad` the permission to register applications in Entra. Parameters are set with `azd env set`, under
// the names in main.parameters.json.

targetScope = 'subscription'

@description('Name of the azd environment. The names of all resources derive from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of all resources. It must support Flex Consumption: `az functionapp list-flexconsumption-locations`.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of the user or pipeline that uploads the page.')
param deployerId string = deployer().objectId

@description('Sign-in provider: the name in /.auth/login/{provider}.')
@allowed(['aad', 'apple', 'facebook', 'github', 'google', 'x'])
param authProvider string = 'aad'

@description('Client id at the provider. Empty with `aad`: the deployment registers an application.')
param authClientId string = ''

@description('Not for `aad`: URL of the Key Vault secret with the client secret. The handler\'s identity needs the role Key Vault Secrets User.')
param authSecretUri string = ''

@description('Token store of the sign-in: URL of the Key Vault secret with a SAS URL of a blob container. Empty: the file system.')
param tokenStoreSasUri string = ''

@description('Whether messages are stored, so that people see what was written while they were away. Off: nothing is stored.')
param history bool = true

@description('Days after which stored messages are deleted.')
@minValue(1)
@maxValue(3650)
param historyDays int = 30

@description('Rooms beside everyone: names separated by commas, or an asterisk for any name. Empty: none.')
param rooms string = ''

@description('Free_F1: 20 connections at a time, 20,000 messages a day. Standard_S1 and Premium_P1: 1,000 connections a unit.')
@allowed(['Free_F1', 'Standard_S1', 'Premium_P1'])
param signalRSku string = 'Free_F1'

@description('Units of the SignalR service. Free_F1 has one.')
@minValue(1)
@maxValue(100)
param signalRUnits int = 1

@description('Whether signed-in users get access tokens for Azure Communication Services (chats, calls). Their usage is billed.')
param communication bool = false

@description('Data location of Azure Communication Services, such as Europe or United States. It cannot be changed later.')
param communicationDataLocation string = 'Europe'

@description('The maximum scopes of these tokens, separated by spaces: chat, chat.join, chat.join.limited, voip, voip.join.')
param accessTokenScopes string = 'chat.join.limited voip.join'

@description('The maximum lifetime of these tokens in minutes.')
@minValue(60)
@maxValue(1440)
param accessTokenMinutes int = 60

@description('Maximum number of instances, which limits the cost.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Number of always-ready instances, which avoid cold starts and are billed.')
@minValue(0)
@maxValue(1000)
param alwaysReadyInstances int = 0

@description('Memory of an instance in MB. More memory comes with more CPU.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('Concurrent calls of an instance before another one is started.')
@minValue(1)
@maxValue(1000)
param instanceConcurrency int = 100

@description('Daily cap of the logs in GB. 0.16 stays within the free 5 GB a month.')
param logGigabytesPerDay string = '0.16'

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-chat-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-chat-${token}'
    insightsName: 'appi-chat-${token}'
    location: location
    tags: tags
    gigabytesPerDay: logGigabytesPerDay
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'stchat${token}'
    location: location
    tags: tags
  }
}

module signalR 'modules/signalr.bicep' = {
  name: 'signalr'
  scope: group
  params: {
    name: 'sigr-chat-${token}'
    location: location
    tags: tags
    sku: signalRSku
    units: signalRUnits
    pageOrigin: storage.outputs.pageOrigin
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    handlerId: identity.outputs.principalId
    deployerId: deployerId
    signalRName: signalR.outputs.name
    insightsName: monitoring.outputs.insightsName
    storageName: storage.outputs.name
    hostContainers: storage.outputs.hostContainers
  }
}

module messages 'modules/history.bicep' = if (history) {
  name: 'history'
  scope: group
  params: {
    storageName: storage.outputs.name
    handlerId: identity.outputs.principalId
    days: historyDays
  }
}

module tokens 'modules/communication.bicep' = if (communication) {
  name: 'communication'
  scope: group
  params: {
    name: 'acs-chat-${token}'
    tags: tags
    dataLocation: communicationDataLocation
    storageName: storage.outputs.name
    handlerId: identity.outputs.principalId
  }
}

module api 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: 'func-chat-${token}'
    planName: 'plan-chat-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    signalRUri: signalR.outputs.uri
    insightsConnection: monitoring.outputs.insightsConnection
    blobUri: storage.outputs.blobUri
    packageContainer: storage.outputs.packageContainer
    pageOrigin: storage.outputs.pageOrigin
    identityProvider: authProvider
    authSecretUri: authSecretUri
    tokenStoreSasUri: tokenStoreSasUri
    historyContainer: history ? messages!.outputs.container : ''
    rooms: rooms
    communicationEndpoint: communication ? tokens!.outputs.endpoint : ''
    identityStore: communication ? tokens!.outputs.identityStore : ''
    accessTokenScopes: accessTokenScopes
    accessTokenMinutes: accessTokenMinutes
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    instanceMemory: instanceMemory
    instanceConcurrency: instanceConcurrency
  }
  // The host fails to start without access to its storage.
  dependsOn: [roles]
}

// Templates can register applications in Entra only.
module registration 'modules/registration.bicep' = if (authProvider == 'aad' && empty(authClientId)) {
  name: 'registration'
  scope: group
  params: {
    name: 'serverless-chat-${token}'
    displayName: 'Serverless chat (${environmentName})'
    apiOrigin: api.outputs.origin
    identityPrincipalId: identity.outputs.principalId
  }
}

module signIn 'modules/sign-in.bicep' = {
  name: 'sign-in'
  scope: group
  params: {
    appName: api.outputs.name
    provider: authProvider
    clientId: authProvider == 'aad' && empty(authClientId) ? registration!.outputs.clientId : authClientId
    pageOrigin: storage.outputs.pageOrigin
    tokenStoreInBlobs: !empty(tokenStoreSasUri)
  }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = group.name
output CHAT_IDENTITY string = identity.outputs.name
output CHAT_FUNCTION_APP string = api.outputs.name
output CHAT_API_URL string = api.outputs.origin
output CHAT_STORAGE_ACCOUNT string = storage.outputs.name
output CHAT_PAGE_URL string = '${storage.outputs.pageOrigin}/'
output CHAT_HISTORY_CONTAINER string = history ? messages!.outputs.container : ''
output CHAT_AUTH_PROVIDER string = authProvider
