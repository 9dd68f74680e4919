// For tools that read TypeScript without knowing Vue's files, the linter for one. vue-tsc sees the components' own types instead.
declare module '*.vue' {
  import type { DefineComponent } from 'vue'

  const component: DefineComponent
  export default component
}
