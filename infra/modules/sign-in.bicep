// App Service Authentication in front of the functions: it validates sessions, and removes forged identity headers from every request.
// `AllowAnonymous` forwards anonymous requests, so that the handler answers them with 401 in JSON (ChatAllowAnonymous=false). App Service
// would answer with a redirect, which `fetch` cannot follow.

param appName string

@allowed(['aad', 'apple', 'facebook', 'github', 'google', 'x'])
param provider string

param clientId string

@description('Origin of the page, without a slash at the end.')
param pageOrigin string

// Name of a setting in function-app.bicep, not a value.
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
        // The redirect to one of these addresses carries a session token, so no other address may be listed. The comparison is
        // exact: the page sends its address with a slash at the end, `Origin` has none.
        allowedExternalRedirectUrls: [pageOrigin, '${pageOrigin}/']
        tokenStore: { enabled: true }
      }
      identityProviders: providers[provider]
    }
  }
}
