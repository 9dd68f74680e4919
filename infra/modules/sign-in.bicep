// App Service Authentication in front of the functions: it checks tokens, and takes headers that claim a caller off every request.
// `AllowAnonymous` does not let anyone chat: it lets the handler answer 401 in JSON, which `fetch` can read, where App Service would
// answer with a redirect, which it cannot. The handler refuses because of ChatAllowAnonymous=false.

param appName string

@allowed(['aad', 'apple', 'facebook', 'github', 'google', 'x'])
param provider string

param clientId string

@description('Where the page is served from, without a slash at the end.')
param pageOrigin string

// The name of a setting in function-app.bicep, never a value.
var secretSetting = 'AUTH_PROVIDER_SECRET'

var providers = {
  aad: {
    azureActiveDirectory: {
      enabled: true
      registration: {
        clientId: clientId
        clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
      }
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
        // A token follows the person to one of these addresses, so nothing else may stand here. Texts are compared: the page
        // says where it is with a slash at the end, a browser's `Origin` is without.
        allowedExternalRedirectUrls: [pageOrigin, '${pageOrigin}/']
        tokenStore: { enabled: true }
      }
      identityProviders: providers[provider]
    }
  }
}
