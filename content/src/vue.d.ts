// The type of `.vue` imports for tools other than vue-tsc, such as the linter.
declare module '*.vue' {
  import type { DefineComponent } from 'vue'

  const component: DefineComponent
  export default component
}
