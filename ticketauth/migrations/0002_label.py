from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ticketauth", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="login",
            name="label",
            field=models.CharField(blank=True, help_text="What it was begun with, for its user.", max_length=64),
        ),
        migrations.AlterField(
            model_name="login",
            name="refreshed_at",
            field=models.DateTimeField(help_text="Last seen: a refresh, or a use of the session."),
        ),
        migrations.AlterField(
            model_name="revocation",
            name="revoked_at",
            field=models.DateTimeField(db_index=True),
        ),
    ]
