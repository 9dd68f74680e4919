// The function app: Flex Consumption, a custom handler, signed in to everything with one identity.
// The runtime is named in `functionAppConfig`: on this plan a FUNCTIONS_WORKER_RUNTIME or WEBSITE_RUN_FROM_PACKAGE among the settings
// makes deployments fail. Each setting below is one the host, App Service or src/config.rs reads.

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

@description('Where the page is served from, without a slash at the end. Only pages from there may call.')
param pageOrigin string

@description('Address of a Key Vault secret, or empty. The value is read by App Service and is in no deployment.')
param authSecretUri string

@description('Address of Azure Communication Services, or empty: then nobody gets tokens for it, and the other three say nothing.')
param communicationEndpoint string

@description('Address of the container that holds who has which identity there.')
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
      // The page sends its token in a header, never a cookie, so credentials stay off.
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

  // No deploying with a user name and a password, over any protocol.
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
        // Queries read fields; people who follow the stream can set it to plain.
        ChatLogFormat: 'json'
        RUST_LOG: 'info'

        // The host's own storage. Blobs only: with `__accountName` it would also try queues and tables, which it has no role for.
        AzureWebJobsStorage__blobServiceUri: blobUri
        AzureWebJobsStorage__credential: 'managedidentity'
        AzureWebJobsStorage__clientId: identityClientId

        APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'

        // Easy Auth shows Entra this identity where it would show a client secret (sign-in.bicep names this setting).
        OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
      },
      empty(communicationEndpoint) ? {} : {
        AzureCommunicationServicesConnectionString__endpoint: communicationEndpoint
        AzureCommunicationServicesConnectionString__credential: 'managedidentity'
        AzureCommunicationServicesConnectionString__clientId: identityClientId
        ChatAccessTokenScopes: accessTokenScopes
        ChatAccessTokenMinutes: string(accessTokenMinutes)
        ChatIdentityStore: identityStore
      },
      empty(authSecretUri) ? {} : { AUTH_PROVIDER_SECRET: '@Microsoft.KeyVault(SecretUri=${authSecretUri})' }
    )
  }
}

output name string = app.name
output origin string = 'https://${app.properties.defaultHostName}'
