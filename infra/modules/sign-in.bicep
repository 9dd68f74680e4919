// App Service Authentication: validates tokens, and removes forged identity headers. With `AllowAnonymous`, unauthenticated requests
// reach the handler, which answers 401 in JSON because of ChatAllowAnonymous=false; App Service would redirect, which `fetch` cannot
// follow.

param appName string

@allowed(['aad', 'apple', 'facebook', 'github', 'google', 'x'])
param provider string

param clientId string

@description('Origin of the page, without a trailing slash.')
param pageOrigin string

@description('Whether the token store is a blob container instead of the file system.')
param tokenStoreInBlobs bool

// Names of settings in function-app.bicep, never values.
var secretSetting = 'AUTH_PROVIDER_SECRET'
var tokenStoreSetting = 'AUTH_TOKEN_STORE_SAS_URL'

var providers = {
  aad: {
    azureActiveDirectory: {
      enabled: true
      registration: {
        clientId: clientId
        clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
      }
      // With a refresh token, without which /.auth/refresh cannot renew a session:
      // https://learn.microsoft.com/azure/app-service/configure-authentication-oauth-tokens
      login: { loginParameters: ['scope=openid profile email offline_access'] }
      validation: {
        defaultAuthorizationPolicy: { allowedApplications: [clientId] }
      }
    }
  }
  apple: {
    apple: {
      enabled: true
      registration: { clientId: clientId, clientSecretSettingName: secretSetting }
    }
  }
  facebook: {
    facebook: {
      enabled: true
      registration: { appId: clientId, appSecretSettingName: secretSetting }
    }
  }
  github: {
    gitHub: {
      enabled: true
      registration: { clientId: clientId, clientSecretSettingName: secretSetting }
    }
  }
  google: {
    google: {
      enabled: true
      registration: { clientId: clientId, clientSecretSettingName: secretSetting }
    }
  }
  x: {
    twitter: {
      enabled: true
      registration: { consumerKey: clientId, consumerSecretSettingName: secretSetting }
    }
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName

  resource signIn 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      globalValidation: {
        requireAuthentication: false
        unauthenticatedClientAction: 'AllowAnonymous'
      }
      httpSettings: { requireHttps: true }
      login: {
        // Tokens are sent to these URLs, so add no others. They are compared as strings: with and without the trailing slash. The
        // page asks to return to the second, from wherever it is opened.
        allowedExternalRedirectUrls: [pageOrigin, '${pageOrigin}/']
        // The name of a signed-in person may come from the store. Instances of Flex Consumption share no file system.
        tokenStore: {
          enabled: true
          azureBlobStorage: tokenStoreInBlobs ? { sasUrlSettingName: tokenStoreSetting } : null
        }
      }
      identityProviders: providers[provider]
    }
  }
}
