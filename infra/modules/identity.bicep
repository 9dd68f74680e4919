// The managed identity of the handler. Do not assign it to other apps: Entra accepts it in place of a client secret
// (registration.bicep), so such an app could sign users in to the chat.

param name string
param location string
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output name string = identity.name
output principalId string = identity.properties.principalId
output clientId string = identity.properties.clientId
