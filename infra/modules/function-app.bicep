// The function app: Flex Consumption with a custom handler and one managed identity. The runtime is set in `functionAppConfig`: on
// this plan, the settings FUNCTIONS_WORKER_RUNTIME and WEBSITE_RUN_FROM_PACKAGE make deployments fail.

param name string
param planName string
param location string
param tags object
param identityId string
param identityClientId string
param signalRUri string
param insightsConnection string
param blobUri string
param packageContainer string

@description('Origin of the page, without a trailing slash. The only allowed CORS origin.')
param pageOrigin string

@description('The sign-in provider whose names are user ids. People of providers that are added later are `provider:name`.')
param identityProvider string

@description('URL of a Key Vault secret, or empty. App Service reads the value.')
param authSecretUri string

@description('The same, with the SAS URL of the container for the token store of App Service Authentication.')
param tokenStoreSasUri string

@description('URL of the container of the history, or empty: then no message is stored.')
param historyContainer string

@description('Rooms beside everyone: names separated by commas, or an asterisk for any name.')
param rooms string

@description('Endpoint of Azure Communication Services, or empty: then there are no access tokens and the next three parameters are unused.')
param communicationEndpoint string

@description('URL of the container that maps users to their identities.')
param identityStore string

param accessTokenScopes string
param accessTokenMinutes int

param maximumInstances int
param alwaysReadyInstances int
param instanceMemory int
param instanceConcurrency int

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  kind: 'functionapp,linux'
  // azd finds the app of the service `api` in azure.yaml by this tag.
  tags: union(tags, { 'azd-service-name': 'api' })
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      // The page sends its token in a header, not in a cookie.
      cors: {
        allowedOrigins: [pageOrigin]
        supportCredentials: false
      }
    }
    functionAppConfig: {
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobUri}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstances
        instanceMemoryMB: instanceMemory
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'http', instanceCount: alwaysReadyInstances }] : []
        triggers: { http: { perInstanceConcurrency: instanceConcurrency } }
      }
    }
  }

  // Disables deployments with user name and password.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union(
      {
        AzureSignalRConnectionString__serviceUri: signalRUri
        AzureSignalRConnectionString__credential: 'managedidentity'
        AzureSignalRConnectionString__clientId: identityClientId
        AzureSignalRHubName: 'chat'
        ChatAllowAnonymous: 'false'
        ChatIdentityProvider: identityProvider
        ChatLogFormat: 'json'
        // An empty value counts as not set.
        ChatRooms: rooms
        RUST_LOG: 'info'

        // The storage of the host. Blobs only: with `__accountName` it would also use queues and tables, for which it has no role.
        AzureWebJobsStorage__blobServiceUri: blobUri
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identityClientId

        APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'

        // Easy Auth uses this identity instead of a client secret; sign-in.bicep refers to this setting.
        OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
      },
      empty(historyContainer) ? {} : { ChatHistory: historyContainer },
      empty(communicationEndpoint) ? {} : {
        AzureCommunicationServicesConnectionString__endpoint: communicationEndpoint
        AzureCommunicationServicesConnectionString__credential: 'managedidentity'
        AzureCommunicationServicesConnectionString__clientId: identityClientId
        ChatAccessTokenScopes: accessTokenScopes
        ChatAccessTokenMinutes: string(accessTokenMinutes)
        ChatIdentityStore: identityStore
      },
      empty(authSecretUri) ? {} : { AUTH_PROVIDER_SECRET: '@Microsoft.KeyVault(SecretUri=${authSecretUri})' },
      empty(tokenStoreSasUri) ? {} : { AUTH_TOKEN_STORE_SAS_URL: '@Microsoft.KeyVault(SecretUri=${tokenStoreSasUri})' }
    )
  }
}

output name string = app.name
output origin string = 'https://${app.properties.defaultHostName}'
