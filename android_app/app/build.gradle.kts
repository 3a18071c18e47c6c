// Not exercised: see settings.gradle.kts.
plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.edgekit.ocr.app"
    compileSdk = 35

    defaultConfig {
        applicationId = "org.edgekit.ocr"
        minSdk = 26
        targetSdk = 35
        versionCode = 1
        versionName = "0.1.0"
        ndk {
            abiFilters += "arm64-v8a"
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    kotlinOptions {
        jvmTarget = "1.8"
    }

    // The bundle, golden vectors and self-test images: unpack assets/ of an APK that edge-kit built, and give the folder
    // with -PedgekitAssets=DIR.
    providers.gradleProperty("edgekitAssets").orNull?.let { sourceSets["main"].assets.srcDir(it) }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles("../../configs/android_rules.pro")
        }
    }
}

dependencies {
    implementation(project(":ocr-core"))
    implementation(project(":engine-opencv"))
    implementation(project(":engine-paddle-lite"))
    // The one version whose numbers equal Python's. Its libc++_shared.so is aligned to 4 KB only: for devices with pages
    // of 16 KB take that of 4.12.0, as edge-kit's own packager does.
    implementation("org.opencv:opencv:4.11.0")
    // Paddle Lite's runtime, where it is at hand: PaddlePredictor.jar in libs/, libpaddle_lite_jni.so in
    // src/main/jniLibs/arm64-v8a/.
    implementation(fileTree("libs") { include("*.jar") })
}
