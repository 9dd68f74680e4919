// Serverless chat on Azure: one resource group with everything the chat needs, and nothing that has to be kept running.
// There is no key here to rotate or to leak: wherever a service has keys, they are switched off, and what calls it is the
// handler's identity with a role from modules/roles.bicep. Whoever runs this needs Owner, or Contributor with User Access
// Administrator, on the subscription, and (for `aad`) may register an application in Entra. Parameters are set with `azd env set`,
// by the names in main.parameters.json.

targetScope = 'subscription'

@description('Name of the azd environment. The resource group and, with the subscription, all names come from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything. Flex Consumption is not in all of them: `az functionapp list-flexconsumption-locations`.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of who uploads the page: whoever runs the deployment.')
param deployerId string = deployer().objectId

@description('Who signs people in: the name in /.auth/login/{provider}.')
@allowed(['aad', 'apple', 'facebook', 'github', 'google', 'x'])
param authProvider string = 'aad'

@description('Client id at the provider. Empty with `aad`: an application is registered, without a secret.')
param authClientId string = ''

@description('Not for `aad`: address of the Key Vault secret that holds the client secret. Make the handler\'s identity its Key Vault Secrets User.')
param authSecretUri string = ''

@description('Free_F1: 20 connections at a time, 20,000 messages a day. Standard_S1 and Premium_P1: 1,000 connections a unit.')
@allowed(['Free_F1', 'Standard_S1', 'Premium_P1'])
param signalRSku string = 'Free_F1'

@description('Units of the SignalR service. Free_F1 has one.')
@minValue(1)
@maxValue(100)
param signalRUnits int = 1

@description('Whether signed-in people get access tokens for Azure Communication Services (chats, calls). What they do with them is billed.')
param communication bool = false

@description('Where Azure Communication Services keeps its data, such as Europe or United States. It can never be changed.')
param communicationDataLocation string = 'Europe'

@description('The most such a token may allow: chat, chat.join, chat.join.limited, voip, voip.join, with spaces between them.')
param accessTokenScopes string = 'chat.join.limited voip.join'

@description('The longest such a token may last.')
@minValue(60)
@maxValue(1440)
param accessTokenMinutes int = 60

@description('How far the handler scales out, and so the most it can cost.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances kept warm, at a price, so that nobody waits for a first one.')
@minValue(0)
@maxValue(1000)
param alwaysReadyInstances int = 0

@description('Megabytes of an instance. The handler needs few; more memory brings more processor.')
@allowed([512, 2048, 4096])
param instanceMemory int = 512

@description('Calls one instance takes at a time before another is started. The handler mostly waits for the SignalR service.')
@minValue(1)
@maxValue(1000)
param instanceConcurrency int = 100

@description('Where logging stops for the day. 0.16 stays within the 5 GB a month that cost nothing.')
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
    authSecretUri: authSecretUri
    communicationEndpoint: communication ? tokens!.outputs.endpoint : ''
    identityStore: communication ? tokens!.outputs.identityStore : ''
    accessTokenScopes: accessTokenScopes
    accessTokenMinutes: accessTokenMinutes
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    instanceMemory: instanceMemory
    instanceConcurrency: instanceConcurrency
  }
  // A host that starts before it may read its storage gives up for a while.
  dependsOn: [roles]
}

// Only in Entra can an application be registered by a template; the other providers have consoles of their own.
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
output CHAT_AUTH_PROVIDER string = authProvider
