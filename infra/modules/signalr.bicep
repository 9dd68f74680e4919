// Azure SignalR Service in serverless mode: it holds the browsers' connections, and there is no server for them to talk to.
// `disableLocalAuth` switches the access keys off; the handler signs with short-lived ones that it gets for its identity.

param name string
param location string
param tags object
param sku string
param units int

@description('Where the page is served from, without a slash at the end. Only pages from there may connect.')
param pageOrigin string

resource service 'Microsoft.SignalRService/signalR@2024-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'SignalR'
  sku: {
    name: sku
    capacity: units
  }
  properties: {
    features: [
      { flag: 'ServiceMode', value: 'Serverless' }
    ]
    cors: { allowedOrigins: [pageOrigin] }
    disableLocalAuth: true
    disableAadAuth: false
    tls: { clientCertEnabled: false }
  }
}

output name string = service.name
output uri string = 'https://${service.properties.hostName}'
