"""The stages of the app, from resources and classes to the signed APK."""
