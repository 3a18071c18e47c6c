// For Android Studio: the same sources that Maven builds. NOT EXERCISED: this project's machines cannot reach Google's
// Maven repository, so nobody has run these Gradle files here. `edge-kit build` is the tested way to an APK.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode.set(RepositoriesMode.FAIL_ON_PROJECT_REPOS)
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "edge-kit-android"
include(":ocr-core", ":engine-opencv", ":paddle-lite-api", ":engine-paddle-lite", ":app")
